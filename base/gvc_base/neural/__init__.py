"""The generative decoder's network: one definition in torch, run by torch or by ONNX Runtime.

`layout` names the planes that go in (numpy only), `model` defines the network (torch), `runtime`
runs it, `weights` finds it by hash. Nothing here is imported before a decoder asks for it.
"""
