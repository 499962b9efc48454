"""All that a domain may import: documents, events, workflows, problems, text."""
