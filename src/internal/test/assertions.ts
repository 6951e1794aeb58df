/**
 * What the code under test did: statements, their number, leaks.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Layer from "effect/Layer"
import { type Database, Db } from "../../Db.js"
import { engineOf } from "../database/Database.js"
import { checked, inUseNow, type RecordedStatement, watched, watchUnder } from "./watch.js"

/**
 * Records the databases of a layer that is not one of `DbTest`'s, and fails a test that leaks connections of them.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const test = DbTest.countQueries(Db.query("SELECT 1")).pipe(
 *   Effect.provide(DbTest.recorded(Db.layer({ url: "sqlite::memory:" })))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const recorded = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> => watched(layer)

/**
 * Every statement that was sent to a database since its layer was built, `BEGIN` and its kin among them, with the values of
 * the parameters; migrations and seed do not count. The last 10,000 are kept. Dies where nothing records: see
 * {@link recorded}.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * class SurveyHub extends Db.Tag("SurveyHub")<SurveyHub>() {}
 *
 * const texts = Effect.map(DbTest.statementsOf(SurveyHub), (statements) => statements.map(({ text }) => text))
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const statementsOf = <Self>(
  tag: Context.Tag<Self, Database>
): Effect.Effect<ReadonlyArray<RecordedStatement>, never, Self> =>
  Effect.map(watchUnder(tag), (watch) => [...watch.statements])

/**
 * {@link statementsOf} the default database.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const texts = Effect.gen(function*() {
 *   yield* Db.query("SELECT :x", { x: 1 }).pipe(Db.transaction)
 *   return (yield* DbTest.statements).map(({ text }) => text) // BEGIN, SELECT ?, COMMIT
 * }).pipe(Effect.provide(DbTest.sqlite()))
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const statements: Effect.Effect<ReadonlyArray<RecordedStatement>, never, Db> = statementsOf(Db)

/**
 * Which database is meant.
 *
 * @since 0.1.0
 * @category models
 */
export interface AssertionOptions<Self> {
  /** Its tag. Defaults to `Db`. */
  readonly database: Context.Tag<Self, Database>
}

const tagOf = <Self>(options: AssertionOptions<Self> | undefined): Context.Tag<Self, Database> =>
  // Without options `Self` is `Db`: nothing else it could be inferred from.
  options?.database ?? (Db as unknown as Context.Tag<Self, Database>)

/** Any effect: what tells it from options. */
type AnyEffect = Effect.Effect<unknown, unknown, unknown>

/** Options of any database. Its tag is invariant, so that there is no type of all tags. */
type AnyOptions = { readonly database: object }

type IdOf<Options> = Options extends AssertionOptions<infer Self> ? Self : never

/** Called with the effect, and not with options alone. */
const isDataFirst = (args: IArguments): boolean => Effect.isEffect(args[0])

/**
 * Runs an effect and gives, beside its value, the statements that the database got meanwhile (from other fibers, too).
 * Also in a pipe: `effect.pipe(DbTest.record)`, `effect.pipe(DbTest.record({ database: SurveyHub }))`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const test = Effect.gen(function*() {
 *   const [rows, sent] = yield* DbTest.record(Db.query("SELECT :x AS x", { x: 1 }))
 *   return { rows, params: sent[0]?.params }
 * }).pipe(Effect.provide(DbTest.sqlite()))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const record: <Arg extends AnyEffect | AnyOptions, Self = Db>(
  effectOrOptions: Arg,
  options?: AssertionOptions<Self>
) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>] ?
  Effect.Effect<readonly [A, ReadonlyArray<RecordedStatement>], E, R | Self>
  : <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<readonly [A, ReadonlyArray<RecordedStatement>], E, R | IdOf<Arg>> = dual(
    isDataFirst,
    <A, E, R, Self>(
      effect: Effect.Effect<A, E, R>,
      options?: AssertionOptions<Self>
    ): Effect.Effect<readonly [A, ReadonlyArray<RecordedStatement>], E, R | Self> =>
      Effect.flatMap(watchUnder(tagOf(options)), (watch) => {
        const before = watch.total
        return Effect.map(effect, (value) => [value, watch.since(before)] as const)
      })
  )

/**
 * Runs an effect and gives, beside its value, how many queries the database got meanwhile. `BEGIN` and its kin do not
 * count. Catches what asks once per row.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as DbTest from "dblive/test"
 * import { expect } from "vitest"
 *
 * declare const notesWithTags: Effect.Effect<ReadonlyArray<unknown>>
 *
 * const test = Effect.gen(function*() {
 *   const [notes, queries] = yield* DbTest.countQueries(notesWithTags)
 *   expect(notes).toHaveLength(3)
 *   expect(queries).toBe(2)
 * })
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const countQueries: <Arg extends AnyEffect | AnyOptions, Self = Db>(
  effectOrOptions: Arg,
  options?: AssertionOptions<Self>
) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>] ? Effect.Effect<readonly [A, number], E, R | Self>
  : <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<readonly [A, number], E, R | IdOf<Arg>> = dual(
    isDataFirst,
    <A, E, R, Self>(
      effect: Effect.Effect<A, E, R>,
      options?: AssertionOptions<Self>
    ): Effect.Effect<readonly [A, number], E, R | Self> =>
      Effect.map(
        record(effect, options),
        ([value, statements]) => [value, statements.filter(({ kind }) => kind === "query").length] as const
      )
  )

/**
 * Dies with a `LeakError` that names the holders when the effect leaves connections in use. The layers of `DbTest` do
 * that by themselves, at the end of each test; this says it of a part of one.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const test = Effect.gen(function*() {
 *   yield* DbTest.noLeaks(Db.query("SELECT 1").pipe(Db.session))
 * }).pipe(Effect.provide(DbTest.sqlite()))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const noLeaks: <Arg extends AnyEffect | AnyOptions, Self = Db>(
  effectOrOptions: Arg,
  options?: AssertionOptions<Self>
) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>] ? Effect.Effect<A, E, R | Self>
  : <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | IdOf<Arg>> = dual(isDataFirst, <A, E, R, Self>(
    effect: Effect.Effect<A, E, R>,
    options?: AssertionOptions<Self>
  ): Effect.Effect<A, E, R | Self> =>
    Effect.flatMap(tagOf(options), (database) => {
      const engine = engineOf(database)
      const before = inUseNow(engine)
      return Effect.tap(effect, () => checked(engine, before))
    }))
