"""Understanding a run: tables that are made from a `RunResult` when somebody asks for them; nothing is drawn here."""
