import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { draw } from "../../benchmark/Chart.js"
import { moduleOf, peers } from "../../benchmark/Peers.js"
import { peerResult } from "../../benchmark/Results.js"
import { workloads } from "../../benchmark/Workload.js"

const benchmark = new URL("../../benchmark/", import.meta.url)

describe("the peers of the benchmark", () => {
  it("each has a module", () => {
    for (const { name } of peers) {
      const file = new URL(moduleOf(name).replace(/\.js$/, ".ts"), benchmark)
      assert.isTrue(existsSync(file), name)
    }
  })

  it("each that takes part in some workloads only names workloads that there are", () => {
    const known = workloads.map(({ id }) => id)
    for (const { name, only } of peers) assert.includeMembers(known, [...only ?? []], name)
  })

  it("goals name peers that there are", () => {
    const known = peers.map(({ name }) => name)
    for (const { goals, id } of workloads) {
      assert.includeMembers(known, goals.flatMap(({ peer, than }) => than === undefined ? [peer] : [peer, than]), id)
    }
  })

  it("the chart shows each beside the raw driver", () => {
    const round = (value: number) => [{ value, checksum: 0 }]
    const shown = peers.filter(({ baseline }) => baseline !== true)
    const chart = draw({
      date: "2026-01-02T03:04:05.000Z",
      machine: { cpu: "any", cores: 2, node: "20" },
      rounds: 1,
      workloads: [{
        id: "W1",
        title: "point select, 64 fibers",
        unit: "selects/s",
        better: "more",
        count: 1,
        fibers: 1,
        baseline: "pg",
        peers: shown.map(({ name }, i) => peerResult(name, "1", round(100 + i), round(100))),
        leftOut: {},
        failed: {},
        goals: []
      }]
    })
    for (const { name } of shown) assert.include(chart, `<title>W1 ${name}: `, name)
  })

  it("lock files name no registry", () => {
    for (const folder of ["", "effect4/"]) {
      const text = readFileSync(new URL(`${folder}package-lock.json`, benchmark), "utf8")
      assert.notInclude(text, "\"resolved\"", folder)
    }
  })
})
