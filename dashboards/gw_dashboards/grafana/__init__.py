"""Boards as Grafana 12 reads them: the only room that knows grafanalib and the shape of Grafana's JSON.

grafanalib 0.7.1 writes a board (variables, annotations, links, time) in a shape that Grafana still takes, and several
kinds of panels in one that it has left behind; so `panels`, `fields` and `options` write panels themselves.
"""

from gw_dashboards.grafana.board import SCHEMA_VERSION, Json, build_board, choices, render_board

__all__ = ["SCHEMA_VERSION", "Json", "build_board", "choices", "render_board"]
