import { assert, describe, it } from "@effect/vitest"
import { current, inReadme, report } from "../../benchmark/Report.js"
import { peerResult, type Results } from "../../benchmark/Results.js"

describe("what the README says of speed", () => {
  it("is what was measured (npm run bench writes both)", () => {
    assert.strictEqual(inReadme(), current())
  })

  it("shows slower rows and missed goals as well", () => {
    const round = (value: number) => ({ value, checksum: 0 })
    const results: Results = {
      date: "2026-01-02T03:04:05.000Z",
      machine: { cores: 2 },
      rounds: 1,
      workloads: [{
        id: "W1",
        title: "point select",
        unit: "selects/s",
        better: "more",
        count: 1,
        fibers: 1,
        baseline: "pg",
        peers: [
          peerResult("pg", "8", [round(2000)], [round(2000)]),
          peerResult("dblive", "0", [round(1000)], [round(2000)])
        ],
        leftOut: {},
        failed: {},
        goals: [{ goal: "dblive: ratio >= 1.5", found: 0.5, met: false }]
      }]
    }
    const text = report(results, { dblive: { "bytes per waiting fiber": 4096, soak: { minutes: 10, "KiB/min": 1.5 } } })
    assert.include(text, "| W1: point select (selects/s) | 2,000 | 0.50 |")
    assert.include(text, "Of 1 goals 0 are met; missed:\n\n- W1, dblive: ratio >= 1.5: 0.5")
    assert.include(text, "| memory over 10 minutes of mixed load (KiB/min) | 1.5 |")
    assert.include(text, "cores 2")
  })

  it("tells p99 and client CPU of each row, and the tail in all its figures", () => {
    const round = { value: 20, checksum: 0, p50: 1, p99: 5, cpu: 1.25 }
    const workload = {
      unit: "selects/s",
      better: "more" as const,
      count: 1,
      fibers: 1,
      baseline: "pg",
      leftOut: {},
      failed: {},
      goals: []
    }
    const tail = { ...round, longest: 2000, perSecond: 12_300 }
    const text = report({
      date: "2026-01-02T03:04:05.000Z",
      machine: {},
      rounds: 1,
      workloads: [
        {
          ...workload,
          id: "W1",
          title: "point select",
          peers: [peerResult("pg", "8", [round], [round]), peerResult("dblive", "0", [round], [round])]
        },
        {
          ...workload,
          id: "W8.busy",
          title: "the tail",
          unit: "ms",
          better: "less",
          peers: [peerResult("pg", "8", [tail], [tail])]
        }
      ]
    }, undefined)
    assert.include(text, "| p99, ms | pg | dblive |\n| --- | --- | --- |\n| W1 | 5 | 5 |")
    assert.include(text, "| client CPU, s of 100,000 | pg | dblive |\n| --- | --- | --- |\n| W1 | 1.25 | 1.25 |")
    assert.include(text, "| W8.busy | pg | 1 | 5 | 2,000 | 20 | 12,300 |")
  })
})
