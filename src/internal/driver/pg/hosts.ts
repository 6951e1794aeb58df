/**
 * Several servers are asked, the next one before the last one has answered where that takes long.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

export interface Asking<H, A, E> {
  readonly attempt: (host: H) => Effect.Effect<A, E>
  /** For how long a host is waited for alone, in milliseconds. */
  readonly patience: number
  /** No other host is asked after this failure. */
  readonly isFinal: (failure: E) => boolean
  /**
   * Hosts that have failed are asked again after so many milliseconds, as long as another one has not answered at all: what they
   * said may have changed. `undefined`: they are not.
   */
  readonly again: number | undefined
}

/**
 * The first success. Hosts are asked in their order: the next one as soon as the last one has failed, or is silent for `patience`.
 * Fails when each has failed, with what each said last. What is still under way then is interrupted.
 */
export const firstOf = <H, A, E>(
  hosts: ReadonlyArray<H>,
  { again, attempt, isFinal, patience }: Asking<H, A, E>
): Effect.Effect<A, ReadonlyArray<E>> =>
  Effect.gen(function*() {
    const end = yield* Deferred.make<A, ReadonlyArray<E>>()
    const failures = new Map<H, E>()
    const giveUp = Effect.suspend(() => Deferred.fail(end, hosts.flatMap((host) => failures.get(host) ?? [])))
    const ask = Effect.fnUntraced(function*(host: H, answered: Deferred.Deferred<void>) {
      while (true) {
        const result = yield* Effect.either(attempt(host))
        if (result._tag === "Right") return yield* Deferred.succeed(end, result.right)
        failures.set(host, result.left)
        yield* Deferred.succeed(answered, undefined)
        if (failures.size === hosts.length || isFinal(result.left)) return yield* giveUp
        if (again === undefined) return
        yield* Effect.sleep(again)
      }
    })
    const askAll = Effect.forEach(hosts, (host) =>
      Effect.gen(function*() {
        const answered = yield* Deferred.make<void>()
        // A child of this fiber, with which it ends.
        yield* Effect.fork(ask(host, answered))
        yield* Effect.timeoutOption(Deferred.await(answered), patience)
      }), { discard: true })
    return yield* Effect.raceFirst(Deferred.await(end), Effect.zipRight(askAll, Effect.never))
  })
