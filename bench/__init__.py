"""The measurements of the hub: a real process over loopback, each beside a limit taken in the same run."""
