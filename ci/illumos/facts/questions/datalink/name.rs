//! Names of the links that are asked, read before anything is opened.

/// What their names begin with: no NIC has such a name, nor has a link that somebody else made.
const MADE_FOR_THIS: &str = "facts";
/// `MAXLINKNAMELEN` - 1
const LONGEST: usize = 31;

/// A link that was made to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkName(String);

/// Two vnics over one etherstub that has no others.
#[derive(Clone, Debug)]
pub(crate) struct Links(pub(crate) [LinkName; 2]);

impl LinkName {
    fn parse(name: &str) -> Option<Self> {
        let made = name.starts_with(MADE_FOR_THIS) && name.len() <= LONGEST;
        let valid = made && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        valid.then(|| Self(name.to_owned()))
    }

    /// A name that no link has.
    pub(crate) fn of_nobody() -> Self {
        Self(format!("{MADE_FOR_THIS}ofnobody0"))
    }

    pub(crate) fn node(&self) -> String {
        format!("/dev/net/{}", self.0)
    }
}

impl Links {
    /// Reads two names with a space between them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (one, other) = text.split_once(' ')?;
        let links = [LinkName::parse(one)?, LinkName::parse(other)?];
        (links[0] != links[1]).then_some(Self(links))
    }
}
