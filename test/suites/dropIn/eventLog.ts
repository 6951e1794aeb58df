/** The storages of the event log: `SqlEventJournal` and `SqlEventLogServer`. */
import * as EventJournal from "@effect/experimental/EventJournal"
import * as EventLogServer from "@effect/experimental/EventLogServer"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlEventJournal from "@effect/sql/SqlEventJournal"
import * as SqlEventLogServer from "@effect/sql/SqlEventLogServer"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { type DropIn, test } from "./target.js"

const bytes = (...values: ReadonlyArray<number>) => new Uint8Array(values)

const journal = (target: DropIn): void =>
  test(
    target,
    "SqlEventJournal writes entries with what they cause, and those of a remote once",
    Effect.gen(function*() {
      const journal = yield* EventJournal.EventJournal
      const changes = yield* journal.changes
      const write = <A, E>(event: string, effect: Effect.Effect<A, E>) =>
        journal.write({ event, primaryKey: "1", payload: bytes(1, 2), effect: () => effect })
      assert.strictEqual(yield* write("created", Effect.succeed("value")), "value")
      yield* Effect.flip(write("refused", Effect.fail("no")))
      assert.deepStrictEqual((yield* journal.entries).map((_) => _.event), ["created"])
      assert.strictEqual((yield* Queue.take(changes)).event, "created")

      const remoteId = EventJournal.makeRemoteId()
      assert.strictEqual(yield* journal.nextRemoteSequence(remoteId), 1)
      const seen: Array<string> = []
      const remote = {
        remoteId,
        entries: [
          new EventJournal.RemoteEntry({
            remoteSequence: 5,
            entry: new EventJournal.Entry({
              id: EventJournal.makeEntryId(),
              event: "remote",
              primaryKey: "2",
              payload: bytes(3)
            }, { disableValidation: true })
          })
        ],
        effect: ({ entry }: { readonly entry: EventJournal.Entry }) => Effect.sync(() => void seen.push(entry.event))
      }
      yield* journal.writeFromRemote(remote)
      assert.deepStrictEqual(seen, ["remote"])
      assert.strictEqual(yield* journal.nextRemoteSequence(remoteId), 6)
      const uncommitted = yield* journal.withRemoteUncommited(remoteId, (entries) => Effect.succeed(entries))
      assert.deepStrictEqual(uncommitted.map((_) => _.event), ["created"])
      yield* journal.destroy
      const sql = yield* SqlClient.SqlClient
      yield* Effect.flip(sql`SELECT * FROM effect_event_journal`)
    }).pipe(Effect.provide(SqlEventJournal.layer()))
  )

const server = (target: DropIn): void =>
  test(
    target,
    "SqlEventLogServer keeps encrypted entries in order, once each, and tells of them",
    Effect.gen(function*() {
      const storage = yield* EventLogServer.Storage
      assert.lengthOf(yield* storage.getId, 16)
      assert.deepStrictEqual([...yield* storage.getId], [...yield* storage.getId])
      const changes = yield* storage.changes("key", 0)
      const entries = [1, 2].map((n) =>
        new EventLogServer.PersistedEntry({
          entryId: EventJournal.makeEntryId(),
          iv: new Uint8Array(12).fill(n),
          encryptedEntry: bytes(n)
        }, { disableValidation: true })
      )
      const written = yield* storage.write("key", entries)
      assert.deepStrictEqual(written.map((_) => [..._.encryptedEntry]), [[1], [2]])
      assert.deepStrictEqual(
        (yield* storage.write("key", entries)).map((_) => _.sequence),
        written.map((_) => _.sequence)
      )
      const [one, two] = yield* storage.entries("key", 0)
      assert.isBelow(one!.sequence, two!.sequence)
      assert.lengthOf(yield* storage.entries("key", two!.sequence), 1)
      assert.lengthOf(yield* storage.entries("another", 0), 0)
      assert.deepStrictEqual([...(yield* changes.take).encryptedEntry], [1])
    }).pipe(Effect.provide(SqlEventLogServer.layerStorageSubtle()))
  )

export const eventLog = (target: DropIn): void => {
  if (target.eventLog.journal || target.eventLog.server) {
    describe("event log", () => {
      if (target.eventLog.journal) journal(target)
      if (target.eventLog.server) server(target)
    })
  }
}
