//! Units: the institution's parts, a tree.

use serde::{Deserialize, Serialize};

use crate::{InstitutionError, Result};

/// The bytes of a code, and of a name.
const CODE_BYTES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 255;

/// What kind of part it is. A part lies in one of a kind further up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitKind {
    /// The whole.
    Institution,
    /// A department or faculty.
    Department,
    /// A level or year.
    Level,
    /// A course.
    Course,
    /// A class or group of a course.
    Class,
}

impl UnitKind {
    /// All of them, from the top.
    pub const ALL: [Self; 5] = [Self::Institution, Self::Department, Self::Level, Self::Course, Self::Class];

    /// The spelling in commands and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Institution => "institution",
            Self::Department => "department",
            Self::Level => "level",
            Self::Course => "course",
            Self::Class => "class",
        }
    }

    /// By that spelling.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether people of such a unit are taught together, so that it has rooms of its own.
    pub fn is_taught(self) -> bool {
        matches!(self, Self::Course | Self::Class)
    }
}

/// A part of the institution. Its code names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// What kind of part.
    pub kind: UnitKind,
    /// Its name.
    pub name: String,
    /// The code of the unit it lies in.
    pub parent: Option<String>,
}

/// A code is written into aliases and commands: letters, digits and a few marks.
pub(crate) fn check_code(code: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if code.is_empty() || code.len() > CODE_BYTES_MAX || !code.bytes().all(fits) {
        return Err(InstitutionError::Wrong(format!(
            "{code:?} cannot be a unit's code; it is made of letters, digits and - _ . and has at most {CODE_BYTES_MAX} of them"
        )));
    }
    Ok(())
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
        return Err(InstitutionError::Wrong(format!("a unit's name has 1 to {NAME_BYTES_MAX} bytes, in one line")));
    }
    Ok(())
}
