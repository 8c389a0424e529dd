"""The networks of the papers at their published sizes: SIGA_R, SIGA_S, SIGA_T and the two of SEC."""
