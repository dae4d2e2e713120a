"""A choice that stays, while what there is to choose from comes and goes."""

from collections.abc import Sequence

import streamlit as st


def choose(label: str, likely_first: Sequence[str], key: str) -> str:
    """One of these, by name; at first the likeliest, and again where the chosen one is gone."""
    if st.session_state.get(key) not in likely_first:
        st.session_state[key] = likely_first[0]
    return st.selectbox(label, sorted(likely_first), key=key, width=160, label_visibility="collapsed")
