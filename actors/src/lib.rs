//! Every mailbox of the program.
