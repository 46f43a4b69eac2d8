"""Tools of an MCP server: prices are looked up, and a model writes the offer.

The server is one of this program. Those that are commands or addresses are declared in a file, or
with `mcp.server`, and approved with ``chainlang mcp approve``.
"""

from mcp.server import MCPServer

from chainlang import E, mcp
from chainlang.engines.fake import FakeEngine

server = MCPServer("shop", log_level="ERROR")


@server.tool()
def price(item: str, count: int) -> dict[str, float]:
    """Return the price of some items."""
    return {"total": {"tea": 2.5, "cake": 4.0}[item] * count}


shop = mcp.server("shop", "in this program")
args = {"item": "{{ query }}", "count": "{{ count }}"}
offer = shop.tool("price", args=args, returns="{ total: float }", pure=True) >> E("writer")
print(offer)

engines = {
    "shop": mcp.McpEngine(server, name="shop"),
    "writer": FakeEngine(answers={"25.0": "Ten tea for 25.00.", "12.0": "Three cake for 12.00."}),
}
rows = [{"query": "tea", "count": 10}, {"query": "cake", "count": 3}, {"query": "ice", "count": 1}]
for result in offer.map(rows, engine=engines, on_error="collect"):
    print(result.answer if result.ok else result.error)
engines["shop"].close()
