-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TRIGGER part_moves BEFORE UPDATE ON storekit.part FOR EACH ROW WHEN (NOT (old.state = new.state OR
        CASE old.state
            WHEN 'pending'::storekit.part_state THEN new.state = ANY (ARRAY['committed'::storekit.part_state, 'aborted'::storekit.part_state])
            WHEN 'committed'::storekit.part_state THEN new.state = 'purging'::storekit.part_state AND NOT new.legal_hold AND COALESCE(new.retain_until <= storekit.now(), true) AND COALESCE(new.purge_after <= storekit.now(), false) AND new.sign_until <= storekit.now()
            WHEN 'aborted'::storekit.part_state THEN new.state = 'swept'::storekit.part_state
            WHEN 'purging'::storekit.part_state THEN new.state = 'swept'::storekit.part_state
            WHEN 'swept'::storekit.part_state THEN new.state = 'gone'::storekit.part_state
            ELSE false
        END) OR old.tenant_id <> new.tenant_id OR old.part_id <> new.part_id OR old.write_id <> new.write_id OR old.entity <> new.entity OR old.ref_id <> new.ref_id OR old.field <> new.field OR old.store <> new.store OR old.key <> new.key OR new.sign_until < old.sign_until OR old.retain_until IS NOT NULL AND COALESCE(new.retain_until < old.retain_until, true)) EXECUTE FUNCTION storekit.refuse_move();
