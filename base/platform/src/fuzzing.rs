//! The parsers of configuration, for the fuzz targets: nothing else calls them by these names.

/// Takes an XML file and a pair of the command line, checks them, and asks for the value of every key.
pub fn settings(pair: &str, xml: &str) {
    crate::settings::fuzz(pair, xml);
}
