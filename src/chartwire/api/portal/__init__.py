"""The documentation portal: pages made from the OpenAPI document, the event catalogue and `docs/`, served offline."""
