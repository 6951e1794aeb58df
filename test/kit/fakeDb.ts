/**
 * A database on the fake driver: `fakeDb(options?, fakeOptions?)` gives the layer of the default `Db` and the strings to
 * pull it by, for tests under `TestClock`. Its pool is small (2 kept, none beyond) unless the options say otherwise.
 */
import * as Effect from "effect/Effect"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import { type FakeOptions, makeFakeDriver } from "./fakeDriver.js"

export const fakeDb = (options: DbConfig.Options = {}, fakeOptions: FakeOptions = {}) =>
  Effect.map(makeFakeDriver(fakeOptions), (fake) => ({
    ...fake,
    layer: Db.layerDriver({
      url: "postgresql://user:secret-canary@127.0.0.1/fake",
      environment: "production",
      connectOnStart: false,
      ...options,
      pool: { size: 2, overflow: 0, minIdle: 0, keepalive: 0, leakThreshold: 0, ...options.pool }
    }, () => Effect.succeed(fake.driver))
  }))
