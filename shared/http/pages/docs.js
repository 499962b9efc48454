"use strict";
// The document lies beside the page. Its validator is a service of somebody else: not asked.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
