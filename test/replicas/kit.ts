/** A primary and standbys of it, on servers of their own. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { eventually, PrivatePostgres, query } from "../kit/postgres.js"

/** A primary with so many standbys, which have replayed all that it has. */
export const cluster = (
  standbys: number,
  settings: Readonly<Record<string, string>> = {}
): Effect.Effect<
  { readonly primary: PrivatePostgres; readonly standbys: ReadonlyArray<PrivatePostgres> },
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const primary = yield* PrivatePostgres.make({
      tls: false,
      hba: ["host replication all 127.0.0.1/32 scram-sha-256"]
    })
    yield* query(primary.url, "CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL)")
    yield* primary.stop()
    const made = yield* Effect.all(
      Array.from({ length: standbys }, () => PrivatePostgres.make({ tls: false, standbyOf: primary, settings })),
      { concurrency: "unbounded" }
    )
    yield* primary.start
    for (const standby of made) {
      yield* eventually(
        query(standby.url, "SELECT pid FROM pg_stat_wal_receiver WHERE status = 'streaming'"),
        (rows) => rows.length === 1
      )
    }
    return { primary, standbys: made }
  })
