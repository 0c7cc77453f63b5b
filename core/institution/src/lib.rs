//! Campus rules: roles, units, enrolments, policies, audit.
