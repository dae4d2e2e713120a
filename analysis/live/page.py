"""Millrace live: the last minutes from Elasticsearch, whole days from the lake.

cd analysis/live && PYTHONPATH=.. streamlit run page.py
"""

from pathlib import Path

import streamlit as st

import now
import past
from elastic import Elasticsearch
from millrace_lake import Lake, LakeError

REFRESH_S = 10
# What is shown stays as bright while it is asked for anew.
STEADY = "<style>[data-stale='true'] { opacity: 1 !important; transition: none !important; }</style>"
ICON = Path(__file__).with_name("icon.png")


def page() -> None:
    """The whole page."""
    st.set_page_config(page_title="Millrace live", page_icon=str(ICON), layout="wide")
    st.html(STEADY)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.title("Millrace live", anchor=False, width="content")
        goes_on = st.toggle(f"Refresh every {REFRESH_S} s", value=True, key="refresh")
    st.fragment(run_every=REFRESH_S if goes_on else None)(now.show)(Elasticsearch.configured())
    st.divider()
    try:
        lake = Lake.configured()
    except LakeError as error:
        st.header(past.TITLE, anchor=False)
        st.error(str(error))
        return
    st.fragment(past.show)(lake)


page()
