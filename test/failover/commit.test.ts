/** What a new primary says of a transaction of the old one. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { CommitStatus, Connection, Driver } from "../../src/driver/Driver.js"
import { transactionId, verdict } from "../../src/internal/driver/pg/commit.js"
import { driverAt, execute, opened, value } from "../driver/pg/fixture.js"
import { describePrivatePostgres, eventually, PrivatePostgres, query } from "../kit/postgres.js"
import { makeProxy } from "../kit/proxy.js"

const statusOf = (driver: Driver, connection: Connection, id: string): Effect.Effect<CommitStatus> =>
  Effect.async((resume) => driver.commitStatus!(connection, id, (_, status) => resume(Effect.succeed(status))))

const at = (url: string) =>
  Effect.gen(function*() {
    const driver = yield* driverAt(url, { ssl: "disable" })
    return { driver, connection: yield* Effect.orDie(opened(driver)) }
  })

/** A transaction that is committed, or left open, and its id. */
const transaction = (connection: Connection, isCommitted: boolean) =>
  Effect.gen(function*() {
    yield* execute(connection, "BEGIN")
    yield* execute(connection, "INSERT INTO note VALUES ('a')")
    const id = String(yield* value(connection, transactionId))
    if (isCommitted) yield* execute(connection, "COMMIT")
    return id
  })

/** Uses ids up to that of a transaction, which is so another's, too. */
const pass = (url: string, id: string) =>
  eventually(
    query(url, "INSERT INTO note VALUES ('b') RETURNING pg_current_xact_id()::text AS xid"),
    (rows) => BigInt(String(rows[0]!["xid"])) >= BigInt(id.split(":")[0]!),
    20_000
  )

describePrivatePostgres("a transaction of an old primary", () => {
  it.scopedLive("is told as committed, rolled back, or never replicated, by the new one", () =>
    Effect.gen(function*() {
      const primary = yield* PrivatePostgres.make({
        tls: false,
        hba: ["host replication all 127.0.0.1/32 scram-sha-256"]
      })
      yield* query(primary.url, "CREATE TABLE note (body text)")
      yield* primary.stop()
      const proxy = yield* makeProxy({ host: primary.host, port: primary.port })
      const standby = yield* PrivatePostgres.make({
        tls: false,
        standbyOf: { data: primary.data, password: primary.password, port: proxy.port }
      })
      yield* primary.start
      const old = yield* at(primary.url)
      const open = yield* at(primary.url)
      const applied = yield* Effect.orDie(transaction(old.connection, true))
      const left = yield* Effect.orDie(transaction(open.connection, false))
      const [place] = yield* query(primary.url, "SELECT pg_current_wal_insert_lsn()::text AS lsn")
      yield* eventually(
        query(standby.url, "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS is_there", [place!["lsn"]]),
        ([row]) => row!["is_there"] === true,
        20_000
      )
      assert.strictEqual(yield* statusOf(old.driver, old.connection, applied), "committed")
      const reader = yield* at(standby.url)
      assert.strictEqual(yield* statusOf(reader.driver, reader.connection, applied), "unknown")
      // From here on nothing arrives.
      proxy.blackHole()
      const lost = yield* Effect.orDie(transaction(old.connection, true))
      assert.strictEqual(yield* statusOf(old.driver, old.connection, lost), "committed")
      yield* primary.stop("kill")
      yield* query(standby.url, "SELECT pg_promote()")
      const now = yield* at(standby.url)
      const status = (id: string) => statusOf(now.driver, now.connection, id)
      assert.strictEqual(yield* status(applied), "committed")
      assert.strictEqual(yield* status(left), "rolled back")
      assert.strictEqual(yield* status(lost), "rolled back")
      yield* pass(standby.url, lost)
      const [other] = yield* query(standby.url, "SELECT pg_xact_status($1::xid8) AS status", [lost.split(":")[0]])
      assert.strictEqual(other!["status"], "committed", "another transaction has the id")
      assert.strictEqual(yield* status(lost), "rolled back")
      assert.strictEqual(yield* status(left), "rolled back")
      // After a crash of the new one its recovery is another.
      yield* standby.stop("kill")
      yield* standby.start
      const again = yield* at(standby.url)
      assert.strictEqual(yield* statusOf(again.driver, again.connection, lost), "unknown")
      assert.strictEqual(yield* statusOf(again.driver, again.connection, left), "rolled back")
      // Back as it was, with the history that the other one does not have.
      yield* primary.start
      const back = yield* at(primary.url)
      const here = yield* Effect.orDie(transaction(again.connection, true))
      assert.strictEqual(yield* statusOf(back.driver, back.connection, here), "unknown")
    }), 90_000)

  it.scopedLive("is told by its server after a restart, and after a crash", () =>
    Effect.gen(function*() {
      const server = yield* PrivatePostgres.make({ tls: false })
      yield* query(server.url, "CREATE TABLE note (body text)")
      for (const how of ["fast", "kill"] as const) {
        const before = yield* at(server.url)
        const open = yield* at(server.url)
        const applied = yield* Effect.orDie(transaction(before.connection, true))
        const left = yield* Effect.orDie(transaction(open.connection, false))
        yield* server.stop(how)
        yield* server.start
        const after = yield* at(server.url)
        assert.strictEqual(yield* statusOf(after.driver, after.connection, applied), "committed", how)
        assert.strictEqual(yield* statusOf(after.driver, after.connection, left), "rolled back", how)
      }
    }), 60_000)
})

describe("the verdict over a transaction", () => {
  // id: xid, process, log before COMMIT; timeline, system, started, end of the recovery, statistics
  const id = "7:1:100:1:s:t0::c0"
  const cases: ReadonlyArray<readonly [string, string, ReturnType<typeof verdict>]> = [
    ["the same server", "committed:f:1:s:t0::c0", "committed"],
    ["the same server", "aborted:f:1:s:t0::c0", "rolled back"],
    ["the same server", "not seen:f:1:s:t0::c0", "in progress"],
    ["the same server", "in progress:f:1:s:t0::c0", "in progress"],
    ["the same server, statistics reset by hand", "committed:f:1:s:t0::c1", "committed"],
    ["restarted in order", "committed:f:1:s:t1::c0", "committed"],
    ["restarted after a crash and again in order", "committed:f:1:s:t1::c1", "unknown"],
    ["recovered behind the COMMIT", "committed:f:1:s:t1:101:c1", "committed"],
    ["recovered before the COMMIT", "committed:f:1:s:t1:100:c1", "rolled back"],
    ["recovered, and the id is not given away", "not seen:f:1:s:t1:100:c1", "rolled back"],
    ["promoted behind the COMMIT", "committed:t:2:s:t1:101:c1", "committed"],
    ["promoted before the COMMIT", "committed:t:2:s:t1:99:c1", "rolled back"],
    ["promoted, and then crashed", "committed:f:2:s:t1:120:c1", "unknown"],
    ["promoted twice", "committed:t:3:s:t1:120:c1", "unknown"],
    ["an older timeline", "aborted:f:0:s:t0::c0", "unknown"],
    ["another system", "committed:f:1:z:t0::c0", "unknown"],
    ["too long ago", "forgotten:f:1:s:t0::c0", "unknown"]
  ]
  for (const [what, answer, expected] of cases) {
    it(`${what} (${answer}): ${expected}`, () => assert.strictEqual(verdict(id, answer), expected))
  }
})
