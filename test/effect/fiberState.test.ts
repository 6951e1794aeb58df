/** What is set by hand in a fiber is what Effect would have set. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Tracer from "effect/Tracer"
import { ContextOverride, disableInterruption, hasChildren, isStepping } from "../../src/internal/effect/fiberState.js"
import type { AnyFiber } from "../../src/internal/fiber/Caller.js"

class Name extends Context.Tag("Name")<Name, string>() {}

const aspects = (fiber: AnyFiber): Record<string, unknown> => Object.fromEntries(Object.entries(fiber))

/** Effect's own way to set what a fiber has, and what it remembers of that. */
const refresh = (fiber: AnyFiber, refs: unknown): void =>
  (fiber as unknown as { readonly setFiberRefs: (refs: unknown) => void }).setFiberRefs(refs)

const assertSame = (actual: Record<string, unknown>, expected: Record<string, unknown>) => {
  assert.deepStrictEqual(Object.keys(actual), Object.keys(expected))
  // By name: fibers are too large to be shown.
  assert.deepStrictEqual(Object.keys(expected).filter((key) => actual[key] !== expected[key]), [])
}

const withSpan = Context.make(Name, "inner").pipe(
  Context.add(Tracer.ParentSpan, Tracer.externalSpan({ spanId: "1", traceId: "2" }))
)

const contexts: ReadonlyArray<readonly [string, Context.Context<never>]> = [
  ["an empty context", Context.empty()],
  ["a context with a span", withSpan as Context.Context<never>],
  ["a context without the span around", Context.make(Name, "inner") as Context.Context<never>]
]

describe.each(contexts)("a stay in %s", (_, context) => {
  it.effect("sets in a fiber what Effect would set, and takes it back", () =>
    Effect.withFiberRuntime<void>((fiber) => {
      // The first one of a process is set in both ways, so that one more is needed.
      for (let i = 0; i < 2; i++) {
        const before = aspects(fiber)
        const stay = new ContextOverride(fiber, context)
        const within = aspects(fiber)
        assert.strictEqual(within["currentContext"], context)
        refresh(fiber, within["_fiberRefs"])
        assertSame(aspects(fiber), within)
        stay.end()
        assertSame(aspects(fiber), before)
      }
      return Effect.void
    }).pipe(Effect.withSpan("outer")))

  it.effect("leaves the references as Effect would, however the context was set before", () =>
    Effect.gen(function*() {
      const check = Effect.withFiberRuntime<void>((fiber) => {
        const before = fiber.getFiberRefs()
        const stay = new ContextOverride(fiber, context)
        const byHand = [...fiber.getFiberRefs().locals]
        stay.end()
        const byEffect = FiberRefs.updateAs(before, {
          fiberId: fiber.id(),
          fiberRef: FiberRef.currentContext,
          value: context
        })
        assert.deepStrictEqual(byHand, [...byEffect.locals])
        return Effect.void
      })
      yield* check
      yield* Effect.provideService(check, Name, "outer")
      yield* Effect.provideService(Effect.flatMap(Effect.fork(check), Fiber.join), Name, "outer")
    }))

  it.effect("leaves what was set meanwhile", () =>
    Effect.gen(function*() {
      const ref = FiberRef.unsafeMake("nothing")
      const around = yield* Effect.context<never>()
      const stay = yield* Effect.withFiberRuntime<ContextOverride>((fiber) =>
        Effect.succeed(new ContextOverride(fiber, context))
      )
      yield* FiberRef.set(ref, "something")
      yield* Effect.sync(() => stay.end())
      assert.strictEqual(yield* FiberRef.get(ref), "something")
      assert.strictEqual(yield* Effect.context<never>(), around)
    }))
})

describe("a fiber", () => {
  it.effect("has children as long as they run", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const has = Effect.withFiberRuntime<boolean>((fiber) => Effect.succeed(hasChildren(fiber)))
      assert.isFalse(yield* has)
      const child = yield* Effect.fork(Deferred.await(gate))
      assert.isTrue(yield* has)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(child)
      assert.isFalse(yield* has)
    }))

  it.effect("collects requests in a step, and nowhere else", () =>
    Effect.gen(function*() {
      const steps = Effect.withFiberRuntime<boolean>((fiber) => Effect.succeed(isStepping(fiber)))
      assert.isFalse(yield* steps)
      assert.deepStrictEqual(yield* Effect.step(steps), Exit.succeed(true))
      assert.deepStrictEqual(yield* Effect.forEach([1], () => steps, { concurrency: "unbounded", batching: true }), [
        true
      ])
      // A forked fiber resolves its requests by itself.
      assert.deepStrictEqual(yield* Effect.step(Effect.flatMap(Effect.fork(steps), Fiber.join)), Exit.succeed(false))
    }))

  it.effect("is not interrupted after it was told so", () =>
    Effect.gen(function*() {
      const told = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      let isDone = false
      const child = yield* Effect.fork(
        Effect.withFiberRuntime<void>((fiber) => {
          assert.isTrue(disableInterruption(fiber))
          assert.isFalse(disableInterruption(fiber))
          return Effect.gen(function*() {
            assert.isTrue(RuntimeFlags.interruptible(yield* Effect.getRuntimeFlags) === false)
            yield* Deferred.succeed(told, undefined)
            yield* Deferred.await(gate)
            isDone = true
          })
        })
      )
      yield* Deferred.await(told)
      const interrupting = yield* Effect.fork(Fiber.interrupt(child))
      yield* Effect.yieldNow()
      assert.isFalse(isDone)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(interrupting)
      assert.isTrue(isDone)
    }))
})
