//! The identity broker: e-mail code and upstream log-ins become an identity token
