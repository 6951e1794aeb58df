/**
 * The least that a pool for fibers needs, with a release whatever happens: a list, a queue, a mask. It keeps nothing, counts
 * nothing and cannot be interrupted while it waits. That is what fibers themselves cost: no peer that uses them can go below.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { effectPeer } from "../EffectPeer.js"
import type { Open } from "../Peer.js"

export const open: Open<Effect.Effect<number, unknown>> = (target) => {
  let free = target.connections
  const waiting: Array<(effect: Effect.Effect<void>) => void> = []
  const take = Effect.async<void>((resume) => {
    if (free > 0) {
      free--
      resume(Exit.void)
    } else {
      waiting.push(resume)
    }
  })
  const give = () => {
    const next = waiting.shift()
    if (next === undefined) free++
    else next(Exit.void)
  }
  return effectPeer({
    layer: Layer.empty,
    operations: {
      checkout: (lent, hold) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(take, () =>
            Effect.matchCauseEffect(
              restore(Effect.suspend(() => {
                lent()
                return hold === undefined ? Effect.succeed(1) : Effect.as(hold(), 1)
              })),
              {
                onFailure: (cause) => {
                  give()
                  return Exit.failCause(cause)
                },
                onSuccess: (value) => {
                  give()
                  return Exit.succeed(value)
                }
              }
            ))
        )
    }
  })
}
