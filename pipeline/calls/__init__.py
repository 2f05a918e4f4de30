"""The call store: every request to a model and its answer, content-addressed, in one SQLite file.

Resuming is caching. A run that died is run again: what is in the store is not asked again, and the same
answers give the same bytes. No stage has checkpoint code.

A call's key is the hash of the provider's identity (model, revision, base URL, dtype, engine…), the request
and the schema version. Numbers of a local half-precision model depend on the shape of the batch, so where a
provider says that requests belong together (`Provider.groups`) the key also holds the hash of the whole group:
an answer is a function of the request list alone, never of what happens to be stored.

    stored      a model behind the store: asks what is missing                  keys in canonical
    store       get, put, claim; the file is found, opened, mended              rows, database, files
    claims      of two processes that want the same call, one asks
    rescue      what is whole in a damaged file                                 pages, old_format
    upkeep      stats, prune
    shards      export, merge                                                   lines
"""

from pipeline.calls.store import CallStore, default_folder
from pipeline.calls.stored import StoredModel

__all__ = ["CallStore", "StoredModel", "default_folder"]
