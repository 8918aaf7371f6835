"""Cases, references and programs that several test files share."""
