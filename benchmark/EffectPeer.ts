/**
 * Peers of Effect 3: how their operations are repeated. Effect 4 has its own, in `effect4/`.
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type { Operations, Peer } from "./Peer.js"

const effectTurn = Effect.async<number>((resume) => {
  setImmediate(() => resume(Effect.succeed(0)))
})

/** A peer whose operations are effects: each loop is one fiber. */
export const effectPeer = async <R, E>(options: {
  readonly layer: Layer.Layer<R, E>
  readonly operations: Operations<Effect.Effect<number, unknown, R>>
  readonly leftOut?: Readonly<Record<string, string>>
}): Promise<Peer<Effect.Effect<number, unknown, R>>> => {
  const runtime = ManagedRuntime.make(options.layer)
  await runtime.runtime()
  return {
    kind: {
      repeat: ({ end, fibers, more, op, turn }) => {
        let next = 0
        const loop = Effect.suspend(() => {
          let i = 0
          let sinceTurn = 0
          return Effect.whileLoop({
            while: more,
            body: () => {
              i = next++
              if (turn > 0 && ++sinceTurn === turn) {
                sinceTurn = 0
                return Effect.zipRight(effectTurn, op(i))
              }
              return op(i)
            },
            step: (answer) => end(i, answer)
          })
        })
        return runtime.runPromise(
          Effect.all(Array.from({ length: fibers }, () => loop), { concurrency: "unbounded", discard: true })
        )
      },
      run: (op) => runtime.runPromise(Effect.suspend(op)),
      turn: () => effectTurn,
      wait: (until) => Effect.as(Effect.promise(() => until), 0)
    },
    operations: options.operations,
    leftOut: options.leftOut ?? {},
    close: () => runtime.dispose()
  }
}
