//! OIDC: obtain an identity token and verify one
