"""Engine for the tools of an MCP server: a request is a call, its completion the result."""

from chainlang.engines.mcp.engine import McpEngine as McpEngine
