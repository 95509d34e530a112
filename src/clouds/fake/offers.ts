import type { Offer, OfferRequest, OfferSet } from "../../core/ports/cloud.ts";
import type { FakeSettings, FakeType } from "./settings.ts";

const HOURS_PER_MONTH = 730;

/** Every region and type that fits, each region with its zones. */
export function offersOf(request: OfferRequest, settings: FakeSettings, cloud: string): OfferSet {
  const rejected: { readonly what: string; readonly reason: string }[] = [];
  const types = Object.entries(settings.types).filter(([name, type]) => {
    const reason = misfitOf(request, name, type);
    if (reason !== undefined) rejected.push({ what: name, reason: `${name} ${reason}` });
    return reason === undefined;
  });
  const regions = Object.entries(settings.regions).filter(([name]) => (request.region ?? name) === name);
  if (request.region !== undefined && regions.length === 0) {
    rejected.push({ what: request.region, reason: `there is no region '${request.region}'` });
  }
  const offers = types.flatMap(([name, type]) =>
    regions.flatMap(([region, zones]) => {
      const usable = zones.filter((zone) => (request.zone ?? zone) === zone);
      if (usable.length === 0 && (zones.length > 0 || request.zone !== undefined)) return [];
      return [toOffer({ name, type }, { region, zones: usable }, { request, settings, cloud })];
    }),
  );
  if (request.zone !== undefined && types.length > 0 && offers.length === 0) {
    rejected.push({ what: request.zone, reason: `there is no zone '${request.zone}'` });
  }
  const hasGpus = Object.keys(request.accelerators).length > 0;
  const gpus = Object.values(settings.types).flatMap((type) => Object.entries(type.accelerators ?? {}));
  const suggestions = offers.length === 0 && hasGpus ? gpus.map(([name, count]) => `${name}:${count}`) : [];
  return { offers, rejected: offers.length === 0 ? rejected : [], suggestions };
}

function toOffer(
  what: { readonly name: string; readonly type: FakeType },
  where: { readonly region: string; readonly zones: readonly string[] },
  how: { readonly request: OfferRequest; readonly settings: FakeSettings; readonly cloud: string },
): Offer {
  const { name, type } = what;
  const { request, settings, cloud } = how;
  const price = (request.useSpot ? type.spot_usd_per_hour : undefined) ?? type.usd_per_hour;
  const factor = settings.price_factors[where.region] ?? 1;
  return {
    cloud,
    region: where.region,
    zone: null,
    ...(where.zones.length === 0 ? {} : { zones: where.zones }),
    instanceType: name,
    quotaFamily: type.family,
    resources: { cpus: type.cpus, memoryGib: type.memory_gib, accelerators: type.accelerators ?? {} },
    useSpot: request.useSpot,
    priceUsdPerHour: Math.round(price * factor * 1e6) / 1e6,
    extras: {
      diskUsdPerHour: (request.diskGib * settings.disk_usd_per_gib_month) / HOURS_PER_MONTH,
      ipUsdPerHour: settings.ipv4_usd_per_hour,
    },
  };
}

/** Why a node of the type cannot be what is asked for; undefined when it can. */
function misfitOf(request: OfferRequest, name: string, type: FakeType): string | undefined {
  if (request.instanceType !== undefined && request.instanceType !== name) return `is not ${request.instanceType}`;
  if (request.useSpot && type.spot_usd_per_hour === undefined) return "is not sold as spot";
  if (request.imageId !== undefined) return "images are not available on the fake cloud";
  return misfitOfAmounts(request, type) ?? misfitOfGpus(request, type);
}

function misfitOfAmounts({ cpus, memory }: OfferRequest, type: FakeType): string | undefined {
  if (cpus !== undefined && !fits(type.cpus, cpus.count, cpus.orMore)) {
    return `has ${type.cpus} vCPUs, ${cpus.count}${cpus.orMore ? "+" : ""} asked`;
  }
  const gib = (memory?.amount ?? 0) * (memory?.perCpu === true ? type.cpus : 1);
  if (memory !== undefined && !fits(type.memory_gib, gib, memory.orMore)) {
    return `has ${type.memory_gib} GiB of memory, ${gib}${memory.orMore ? "+" : ""} asked`;
  }
  return undefined;
}

function fits(has: number, wanted: number, orMore: boolean): boolean {
  return orMore ? has >= wanted : has === wanted;
}

function misfitOfGpus(request: OfferRequest, type: FakeType): string | undefined {
  const has = type.accelerators ?? {};
  const wanted = Object.entries(request.accelerators);
  const missing = wanted.find(([name, count]) => has[name] !== count);
  if (missing !== undefined) return `has no ${missing[0]}:${missing[1]}`;
  // Nodes with accelerators are not sold to who does not ask for them by name of the type.
  if (wanted.length === 0 && Object.keys(has).length > 0 && request.instanceType === undefined) {
    return "has accelerators that were not asked for";
  }
  return undefined;
}
