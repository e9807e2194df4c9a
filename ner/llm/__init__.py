"""The LLM extractor: any OpenAI-compatible server, asked caption by caption."""
