/** What the programs of `transactionScope` do that has another form in Effect 3: requests, and ways to run an effect. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import * as Schema from "effect/Schema"
import type { SqlError } from "effect/sql/SqlError"
import * as SqlResolver from "effect/sql/SqlResolver"

class Ask extends Request.TaggedClass("Ask")<{ readonly n: number }, number> {}

/** Answers without a database: what asks may be put into one batch with others anywhere. */
const answers = RequestResolver.fromFunction<Ask>(({ request }) => request.n)

export const ask: Effect.Effect<number> = Effect.request(new Ask({ n: 1 }), answers)

const Row = Schema.Struct({ id: Schema.Number })

/** Statements about many rows at once. */
export interface Batches {
  readonly insert: (ids: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<unknown>, SqlError>
  readonly select: (ids: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<{ readonly id: number }>, SqlError>
}

/** Whether a row is found: a resolver fails where there is none. */
const isFound = <A, E>(asked: Effect.Effect<A, E | { readonly _tag: "NoSuchElementError" }>) =>
  asked.pipe(Effect.as(true), Effect.catchTag("NoSuchElementError", () => Effect.succeed(false)))

/** Requests for one row. */
export const requestsOf = (_name: string, { insert, select }: Batches) =>
  Effect.sync(() => {
    const add = SqlResolver.void({ Request: Schema.Number, execute: insert })
    const ordered = SqlResolver.ordered({
      Request: Schema.Number,
      Result: Row,
      execute: (ids) =>
        Effect.andThen(
          insert(ids),
          Effect.map(select(ids), (rows) => ids.flatMap((id) => rows.filter((row) => row.id === id)))
        )
    })
    const findById = SqlResolver.findById({
      Id: Schema.Number,
      Result: Row,
      ResultId: ({ id }) => id,
      execute: select
    })
    const grouped = SqlResolver.grouped({
      Request: Schema.Number,
      RequestGroupKey: (id) => id,
      Result: Row,
      ResultGroupKey: ({ id }) => id,
      execute: select
    })
    return {
      add: (id: number) => SqlResolver.request(id, add),
      insertOrdered: (id: number) => Effect.asVoid(SqlResolver.request(id, ordered)),
      isFound: (id: number) => isFound(SqlResolver.request(id, findById)),
      isInGroup: (id: number) => isFound(SqlResolver.request(id, grouped))
    }
  })

/** Ways to run an effect that Effect 3 does not have. */
export const ways = {
  atOnce: <R>(effect: Effect.Effect<void, never, R>): Effect.Effect<void, never, R> =>
    Effect.flatMap(Effect.forkChild(effect, { startImmediately: true }), Fiber.join),
  detachedAtOnce: <R>(effect: Effect.Effect<void, never, R>): Effect.Effect<void, never, R> =>
    Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), Fiber.join)
}

export type Way = keyof typeof ways
