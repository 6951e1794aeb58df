/**
 * One connection for a while: around an effect, or reserved until a scope closes.
 *
 *     npx tsx examples/sessions.ts
 */
// #region imports
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Number } from "effect"
import { Db, DbLive } from "../src/index.js"
// #endregion

// #region query
interface Note {
  readonly id: number
  readonly body: string
}

const notesLike = (pattern: string) =>
  Db.query<Note>("SELECT id, body FROM session_note WHERE body LIKE :pattern ORDER BY id", { pattern })
// #endregion

// #region scoped
const importNote = (session: Db.Session, body: string | null) =>
  Effect.gen(function*() {
    yield* session.begin() // a savepoint
    return yield* session.sql`INSERT INTO session_note (body) VALUES (${body})`.pipe(
      Effect.zipRight(session.commit),
      Effect.as(1),
      Effect.catchAll(() => Effect.as(session.rollback, 0))
    )
  })

/** Writes every note that can be written, and gives their number. */
const importNotes = (bodies: ReadonlyArray<string | null>) =>
  Effect.gen(function*() {
    const session = yield* Db.reserve
    yield* session.begin()
    const written = yield* Effect.forEach(bodies, (body) => importNote(session, body))
    yield* session.commit
    return Number.sumAll(written)
  }).pipe(Effect.scoped) // here the connection goes back; what was not committed is rolled back
// #endregion

const program = Effect.gen(function*() {
  yield* Db.query("DROP TABLE IF EXISTS session_note")
  yield* Db.query("CREATE TABLE session_note (id INTEGER PRIMARY KEY, body VARCHAR(200) NOT NULL)").pipe(
    Effect.zipRight(importNotes(["one", null, "two"])),
    Effect.flatMap((written) => Console.log(`${written} written`))
  )
  yield* Console.log((yield* notesLike("%o%")).map((note) => `${note.id} ${note.body}`).join(", "))
  const { inUse } = yield* Db.pool
  yield* Console.log(`${inUse} connections in use`)
})

program.pipe(Effect.provide(DbLive), NodeRuntime.runMain)
