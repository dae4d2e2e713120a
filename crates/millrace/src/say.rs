//! What the command prints on its standard output.

use std::fmt;
use std::io::{self, ErrorKind, Write};

/// Prints a line, as `say!` does, whether or not anybody reads it: `millrace rules list | head`
/// ends its pipe early, and that is no failure of the command.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::say::line(format_args!($($text)*))
    };
}

/// # Panics
/// The output cannot be written, for another reason than that its reader has gone.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    if let Err(error) = write(&mut io::stdout().lock(), text) {
        panic!("the output cannot be written: {error}");
    }
}

fn write(output: &mut impl Write, text: fmt::Arguments<'_>) -> io::Result<()> {
    match writeln!(output, "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_reader_that_has_gone_is_no_failure() {
        let mut output = Vec::new();
        write(&mut output, format_args!("{} rules", 7)).unwrap();
        assert_eq!(output, b"7 rules\n");
        assert!(write(&mut Failing(ErrorKind::BrokenPipe), format_args!("text")).is_ok());
        assert!(write(&mut Failing(ErrorKind::StorageFull), format_args!("text")).is_err());
    }
}
