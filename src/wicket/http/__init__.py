"""What both doors share: the answer that a refusal becomes, and which paths stand behind the gate."""
