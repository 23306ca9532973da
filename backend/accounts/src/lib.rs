//! Accounts: register, log in, export, delete.
