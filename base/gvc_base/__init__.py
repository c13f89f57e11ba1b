"""Base station: datagrams in, archive, decoded video and its marks out."""
