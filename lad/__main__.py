"""The program `lad`. It imports the command line only where the command is not forked (`lad warm`)."""

from lad.warm import run_as_fork


def main() -> None:
    """Run the command that `sys.argv` names."""
    run_as_fork()
    from lad.cli import main as run

    run()


if __name__ == "__main__":
    main()
