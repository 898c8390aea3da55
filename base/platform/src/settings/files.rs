//! Hadoop's configuration files: `<configuration><property><name/><value/><final/></property>…</configuration>`.

use super::{Origin, Settings, Warning};
use crate::error::{IoContext, PlatformError};
use std::fs;
use std::path::Path;

/// The files that are read, in this order.
const FILES: [&str; 3] = ["core-site.xml", "hdfs-site.xml", "mapred-site.xml"];
/// Largest configuration file that is read.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(super) fn add_conf_dir(settings: &mut Settings, dir: &Path) -> Result<(), PlatformError> {
    fs::read_dir(dir).io("open configuration folder", dir)?;
    for name in FILES {
        let path = dir.join(name);
        match fs::metadata(&path) {
            Ok(meta) if meta.len() > FILE_BYTES_MAX => {
                return Err(PlatformError::BadFile { path, reason: format!("larger than {FILE_BYTES_MAX} bytes") });
            }
            Ok(_) => {
                let text = fs::read_to_string(&path).io("read", &path)?;
                add_xml(settings, &path, &text)?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e).io("read", &path),
        }
    }
    Ok(())
}

/// Adds the properties of one file's text.
pub(super) fn add_xml(settings: &mut Settings, path: &Path, text: &str) -> Result<(), PlatformError> {
    let bad = |reason: String| PlatformError::BadFile { path: path.to_owned(), reason };
    let document = roxmltree::Document::parse(text).map_err(|e| bad(e.to_string()))?;
    let root = document.root_element();
    if !root.has_tag_name("configuration") {
        return Err(bad(format!("expected <configuration>, found <{}>", root.tag_name().name())));
    }
    for node in root.children().filter(roxmltree::Node::is_element) {
        let line = document.text_pos_at(node.range().start).row;
        let origin = Origin::File { path: path.to_owned(), line };
        if !node.has_tag_name("property") {
            settings.notes.push(Warning::Element { element: node.tag_name().name().to_owned(), origin });
            continue;
        }
        let Some(name) = field(node, "name").filter(|name| !name.trim().is_empty()) else {
            return Err(bad(format!("line {line}: a property without a name")));
        };
        let is_final = field(node, "final").is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
        // Hadoop reads a property without <value> as not given.
        if let Some(value) = field(node, "value") {
            settings.put(name.trim(), &value, origin, is_final);
        }
    }
    Ok(())
}

/// A field of a property: a child element, or in short form an attribute.
fn field(property: roxmltree::Node<'_, '_>, name: &str) -> Option<String> {
    if let Some(child) = property.children().find(|child| child.has_tag_name(name)) {
        return Some(child.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).collect());
    }
    property.attribute(name).map(str::to_owned)
}
