/**
 * Statements that are sent by `pipeline` while others have not been answered, and how each of them ended.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { DbError } from "../../../src/DbError.js"
import type { Connection, Request } from "../../../src/driver/Driver.js"
import { execute } from "./fixture.js"

/** How a statement ended, and as which of them all. */
export interface End {
  readonly error: DbError | undefined
  readonly value: any
  readonly order: number
}

export interface Sent {
  /** By the order in which they were sent; `undefined`: it has not ended. */
  readonly ends: ReadonlyArray<End | undefined>
  /** Which of them were sent again, in the order in which that was told. */
  readonly again: ReadonlyArray<number>
  /** Ends when all of them have ended. */
  readonly all: Effect.Effect<ReadonlyArray<End>>
}

/** Runs a text once, so that it is prepared. */
export const prepared = (connection: Connection, ...requests: ReadonlyArray<Request>): Effect.Effect<void> =>
  Effect.orDie(Effect.forEach(requests, ({ params, text }) => execute(connection, text, params), { discard: true }))

/** Sends statements one behind the other, without a flush. A second call of a statement's `done` is a defect. */
export const gather = (connection: Connection, requests: ReadonlyArray<Request>): Sent => {
  const ends: Array<End | undefined> = requests.map(() => undefined)
  const again: Array<number> = []
  const waiting: Array<() => void> = []
  let ended = 0
  requests.forEach((request, at) => {
    assert.isTrue(connection.canPipeline!(request), `canPipeline: ${request.text}`)
    connection.pipeline!(request, (error, value) => {
      if (ends[at] !== undefined) throw new Error(`ended twice: ${request.text}`)
      ends[at] = { error, value, order: ended++ }
      if (ended === requests.length) { for (const resume of waiting.splice(0)) resume() }
    }, () => again.push(at))
  })
  return {
    ends,
    again,
    all: Effect.async<ReadonlyArray<End>>((resume) => {
      // All of them are there when this is called.
      const give = (): void => resume(Effect.succeed(ends as ReadonlyArray<End>))
      if (ended === requests.length) give()
      else waiting.push(give)
    })
  }
}

/** Sends statements in one write. */
export const send = (connection: Connection, requests: ReadonlyArray<Request>): Sent => {
  const sent = gather(connection, requests)
  connection.flush!()
  return sent
}

/** The reason of an error, or the server's code of a statement's. */
export const codeOf = (error: DbError | undefined): string =>
  error === undefined
    ? "none"
    : `${error._tag} ${error._tag === "QueryError" && error.code !== undefined ? error.code : error.reason}`

/** What is known of a statement's end: `ok`, or its error with the outcome. */
export const said = (end: End | undefined): string =>
  end === undefined ? "open" : end.error === undefined ? "ok" : `${codeOf(end.error)} ${end.error.outcome}`
