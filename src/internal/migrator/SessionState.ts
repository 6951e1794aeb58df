/**
 * What a session is beside its transaction: settings, role, temporary objects, locks. It is looked at before the first
 * migration of a run and put back after each one, so that a migration neither changes how the next one runs nor what the
 * caller finds afterwards.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type { Dialect } from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import { fromSqlError } from "../../DbError.js"

/** Something of a session that differs, and the statement that puts it back. */
export interface Difference {
  /** In words, for the error when it cannot be put back. */
  readonly what: string
  readonly text: string
}

/** How a database is asked for its session's state. */
export interface Watch {
  /** Looks at the session as it is now, and gives what differs from what it was at first, in the order of putting back. */
  readonly differences: Effect.Effect<ReadonlyArray<Difference>, SqlError>
  /**
   * What no question would tell: statements that undo what these texts may have done. Their failure says nothing. They are found by
   * patterns in the text as it is written, apart from `sql/classify.ts`: names and strings are what is looked for, and a text that is in
   * a string may be run by it.
   */
  readonly undo?: ((texts: ReadonlyArray<string>) => ReadonlyArray<string>) | undefined
  /** Sent in a migration's transaction before its row is written, so that nothing of the session keeps the row away. */
  readonly beforeRow?: ((texts: ReadonlyArray<string>) => Effect.Effect<void, SqlError>) | undefined
  /** Learns, before a migration runs, what its texts may change and what cannot be asked for afterwards. */
  readonly expect?: ((texts: ReadonlyArray<string>) => Effect.Effect<void, SqlError>) | undefined
}

/** The state of a session, as it was when a run began. */
export interface SessionState {
  /** To be called before a migration, with its statements where they are known. */
  readonly expect: (texts: ReadonlyArray<string>) => Effect.Effect<void, SqlError>
  /** To be told each statement's text before it is sent. */
  readonly hear: (text: string) => void
  /** In the transaction of a migration, before its row is written. */
  readonly beforeRow: Effect.Effect<void, SqlError>
  /** Puts the session back, outside of a transaction. Gives what could not be put back. */
  readonly restore: Effect.Effect<ReadonlyArray<string>, SqlError>
}

/** A lock that was taken several times is given back as often. */
const mostRounds = 20

/** A long text is data. */
const longestText = 10_000

/** Texts that may do what only the text tells. The list is bounded by this: a file of data has a million statements. */
const telling =
  /\b(?:set|set_config|temp|temporary|prepare|get_lock|lock|flush|handler|use|execute|exec|setuser|timestamp|rowcount)\b|#/i

/** Sends a text of ours. What the server says against it is seen when the session is looked at again. */
const attempt = (sql: SqlClient.SqlClient, text: string): Effect.Effect<void, SqlError> =>
  Effect.catchAll(
    Effect.asVoid(sql.unsafe(text).unprepared),
    (error) => fromSqlError(error, "")._tag === "QueryError" ? Effect.void : Effect.fail(error)
  )

/** Follows a session from now on. */
export const make = (client: SqlClient.SqlClient, watch: Watch): SessionState => {
  const sql = client.withoutTransforms()
  const heard = new Set<string>()
  const restore = Effect.gen(function*() {
    const undo = watch.undo?.([...heard]) ?? []
    heard.clear()
    yield* Effect.forEach(undo, (text) => attempt(sql, text), { discard: true })
    let left = yield* watch.differences
    for (let round = 0; left.length > 0 && round < mostRounds; round++) {
      yield* Effect.forEach(left, ({ text }) => attempt(sql, text), { discard: true })
      left = yield* watch.differences
    }
    return left.map(({ what }) => what)
  })
  return {
    expect: (texts) => watch.expect?.(texts) ?? Effect.void,
    hear: (text) => {
      if (text.length <= longestText && telling.test(text)) {
        heard.add(text)
      }
    },
    beforeRow: Effect.suspend(() => watch.beforeRow?.([...heard]) ?? Effect.void),
    restore
  }
}

/** How a dialect's session is captured. */
export interface Capture {
  (sql: SqlClient.SqlClient): Effect.Effect<Watch, SqlError>
}

/** A dialect without state that is known. */
const nothing: Capture = () => Effect.succeed({ differences: Effect.succeed([]) })

/** Looks at the session of a client whose connection is pinned. */
export const capture = (
  client: SqlClient.SqlClient,
  dialect: Dialect,
  captures: Partial<Record<Dialect, Capture>>
): Effect.Effect<SessionState, SqlError> =>
  Effect.map((captures[dialect] ?? nothing)(client.withoutTransforms()), (watch) => make(client, watch))
