"""Images and phrases to candidate masks."""
