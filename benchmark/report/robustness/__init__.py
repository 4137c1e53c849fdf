"""How results change where queries are worded otherwise, contradict themselves, lack a part, or are broken down."""
