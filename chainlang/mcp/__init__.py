"""MCP both ways: tools of servers as stages of a chain, and chains as tools of a server.

>>> from chainlang import E, mcp
>>> files = mcp.server("files", "npx", args=["-y", "server-files"])
>>> read = files.tool("read_file", args={"path": "{{ query }}"})
>>> print(read >> E("tiny"), end="")
server files = mcp("npx", args=["-y", "server-files"])
op read_file : tool {
  server = files
  tool = "read_file"
  args = {"path": "{{ query }}"}
}
main = read_file >> E:tiny
"""

from chainlang.engines.mcp.engine import McpEngine as McpEngine
from chainlang.mcp.served import Exported as Exported
from chainlang.mcp.served import served as served
from chainlang.mcp.tools import Server as Server
from chainlang.mcp.tools import ToolStage as ToolStage
from chainlang.mcp.tools import server as server

__all__ = ["Exported", "McpEngine", "Server", "ToolStage", "served", "server"]
