"""Scan sets, joints and shards: everything between a folder of scans and a training sample."""
