"""``python -m kept`` is the kept program."""

from kept._binary import main

if __name__ == "__main__":
    main()
