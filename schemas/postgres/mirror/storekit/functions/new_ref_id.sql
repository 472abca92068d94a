-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.new_ref_id()
 RETURNS text
 LANGUAGE sql
BEGIN ATOMIC
 SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ'::text, (digits.digit + 1), 1), ''::text ORDER BY digits.place) AS string_agg
    FROM ( SELECT place.place,
             (((((EXTRACT(epoch FROM storekit.now()) * (1000)::numeric))::bigint >> (5 * (9 - place.place))) & (31)::bigint))::integer AS int4
            FROM generate_series(0, 9) place(place)
         UNION ALL
          SELECT (10 + byte.byte),
             (get_byte(chance.chance, byte.byte) & 31)
            FROM uuid_send(gen_random_uuid()) chance(chance),
             generate_series(0, 15) byte(byte)) digits(place, digit);
END;

ALTER FUNCTION storekit.new_ref_id() OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.new_ref_id() TO storekit_app;
GRANT EXECUTE ON FUNCTION storekit.new_ref_id() TO storekit_auditor;
GRANT EXECUTE ON FUNCTION storekit.new_ref_id() TO storekit_reports;
GRANT EXECUTE ON FUNCTION storekit.new_ref_id() TO storekit_worker;
