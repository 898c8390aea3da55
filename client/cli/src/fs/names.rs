//! Names of local users and groups, from the system's files.

use std::fs;

/// The contents of `/etc/passwd` and `/etc/group`: lines of `name:password:number:…`.
pub(super) struct Names {
    users: String,
    groups: String,
}

impl Names {
    /// Names of this machine; an unreadable file counts as empty.
    pub(super) fn of_system() -> Self {
        let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        Self { users: read("/etc/passwd"), groups: read("/etc/group") }
    }

    /// The user's name, or the number.
    pub(super) fn user(&self, id: u32) -> String {
        name_of(&self.users, id)
    }

    /// The group's name, or the number.
    pub(super) fn group(&self, id: u32) -> String {
        name_of(&self.groups, id)
    }

    /// The user's number, by name or as the number itself.
    pub(super) fn user_id(&self, name: &str) -> Option<u32> {
        id_of(&self.users, name)
    }

    /// The group's number, by name or as the number itself.
    pub(super) fn group_id(&self, name: &str) -> Option<u32> {
        id_of(&self.groups, name)
    }
}

fn accounts(file: &str) -> impl Iterator<Item = (&str, u32)> {
    file.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((name, fields.nth(1)?.parse().ok()?))
    })
}

fn name_of(file: &str, id: u32) -> String {
    accounts(file).find(|(_, other)| *other == id).map_or_else(|| id.to_string(), |(name, _)| name.to_owned())
}

fn id_of(file: &str, name: &str) -> Option<u32> {
    accounts(file).find(|(other, _)| *other == name).map(|(_, id)| id).or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_both_ways() {
        let names = Names {
            users: "root:x:0:0::/root:/bin/sh\nbroken\nann:x:1000:100::/:\n".to_owned(),
            groups: "root:x:0:\nstaff:x:50:ann\n".to_owned(),
        };
        assert_eq!((names.user(1000), names.user(7)), ("ann".to_owned(), "7".to_owned()));
        assert_eq!((names.group(50), names.group(7)), ("staff".to_owned(), "7".to_owned()));
        assert_eq!((names.user_id("ann"), names.user_id("7"), names.user_id("bob")), (Some(1000), Some(7), None));
        assert_eq!((names.group_id("staff"), names.group_id("ann")), (Some(50), None));
    }
}
