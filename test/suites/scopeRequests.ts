/** What the programs of `transactionScope` do that has another form in Effect 4: requests, and ways to run an effect. */
import type { SqlError } from "@effect/sql/SqlError"
import * as SqlResolver from "@effect/sql/SqlResolver"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import * as Schema from "effect/Schema"

class Ask extends Request.TaggedClass("Ask")<number, never, { readonly n: number }> {}

/** Answers without a database: what asks may be put into one batch with others anywhere. */
const answers = RequestResolver.makeBatched((asked: ReadonlyArray<Ask>) =>
  Effect.forEach(asked, (ask) => Request.succeed(ask, ask.n), { discard: true })
)

export const ask: Effect.Effect<number> = Effect.request(new Ask({ n: 1 }), answers)

const Row = Schema.Struct({ id: Schema.Number })

/** Statements about many rows at once. */
export interface Batches {
  readonly insert: (ids: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<unknown>, SqlError>
  readonly select: (ids: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<{ readonly id: number }>, SqlError>
}

/** Requests for one row. Resolvers of one name are one resolver to Effect: each database names its own. */
export const requestsOf = (name: string, { insert, select }: Batches) =>
  Effect.gen(function*() {
    const add = yield* SqlResolver.void(`Add-${name}`, { Request: Schema.Number, execute: insert })
    const ordered = yield* SqlResolver.ordered(`Ordered-${name}`, {
      Request: Schema.Number,
      Result: Row,
      execute: (ids) =>
        Effect.zipRight(
          insert(ids),
          Effect.map(select(ids), (rows) => ids.flatMap((id) => rows.filter((row) => row.id === id)))
        )
    })
    const findById = yield* SqlResolver.findById(`FindById-${name}`, {
      Id: Schema.Number,
      Result: Row,
      ResultId: ({ id }) => id,
      execute: select
    })
    const grouped = yield* SqlResolver.grouped(`Grouped-${name}`, {
      Request: Schema.Number,
      RequestGroupKey: (id) => id,
      Result: Row,
      ResultGroupKey: ({ id }) => id,
      execute: select
    })
    return {
      add: (id: number) => add.execute(id),
      insertOrdered: (id: number) => Effect.asVoid(ordered.execute(id)),
      isFound: (id: number) => Effect.map(findById.execute(id), Option.isSome),
      isInGroup: (id: number) => Effect.map(grouped.execute(id), (rows) => rows.length === 1)
    }
  })

/** Ways to run an effect that Effect 4 does not have. */
export const ways = {
  inherit: <R>(effect: Effect.Effect<void, never, R>): Effect.Effect<void, never, R> =>
    Effect.flatMap(
      Effect.fork(effect),
      (fiber) => Effect.zipRight(Fiber.await(fiber), Fiber.inheritAll(fiber))
    ),
  transplant: <R>(effect: Effect.Effect<void, never, R>): Effect.Effect<void, never, R> =>
    Effect.transplant((graft) => Effect.flatMap(Effect.fork(graft(effect)), Fiber.join))
}

export type Way = keyof typeof ways
