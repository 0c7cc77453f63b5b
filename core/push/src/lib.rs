//! Notifications: evaluation, pushers, application services.
